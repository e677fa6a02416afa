// Draws what /loops sends, four times a second: a chart for each figure, a line for each loop of the poller, a minute wide.

const minute = 60_000;
const width = 600, height = 100; // Of a plot, in its own units.
const tripEvery = 250;
const mostBlocks = 3; // A browser has six connections to a server. One has the stream, and one measures round trips.
const mostStalls = 8;

const $ = id => document.getElementById(id);
const whole = value => Math.round(value).toLocaleString('en');
const tenths = value => value.toFixed(1);
const milliseconds = value => value >= 100 ? whole(value) : value >= 1 ? value.toFixed(1) : value.toFixed(2);
const sum = values => values.reduce((all, value) => all + value, 0);

// lines: the values of a moment, one for each line. value: what stands above the plot. least: what the plot shows at least.
const charts = [
  {
    id: 'connections', title: 'Connections', about: 'open now', format: whole, least: 4,
    lines: sample => sample.loops.map(loop => loop.connections), value: sum, needsLoops: true,
  },
  {
    id: 'events', title: 'Events a poll', about: 'what one look finds ready', format: tenths, least: 2,
    lines: sample => sample.loops.map(loop => loop.events), value: Math.max, needsLoops: true,
  },
  {
    id: 'polls', title: 'Polls a second', about: 'how often the loops look', format: whole, least: 50,
    lines: sample => sample.loops.map(loop => loop.polls), value: sum, needsLoops: true,
  },
  {
    id: 'hand-overs', title: 'Hand-overs', about: 'another thread took a loop over', format: whole, least: 2,
    lines: sample => sample.loops.map(loop => loop.newHandOvers), needsLoops: true,
    value: (_, sample) => sum(sample.loops.map(loop => loop.handOvers)), unit: 'in all',
  },
  {
    id: 'blocked', title: 'Blocked handlers', about: 'each holds a thread of its own', format: whole, least: 2,
    lines: sample => sample.loops.map(loop => loop.blocked), value: sum, needsLoops: true,
  },
  {
    id: 'delay', title: 'Dispatch delay', about: 'ready to run; dotted: the mean', unit: 'ms', format: milliseconds,
    least: 1, lines: sample => sample.loops.map(loop => loop.longestDelay), seconds: sample => sample.loops.map(loop => loop.meanDelay),
    value: Math.max, needsLoops: true,
  },
  {
    id: 'requests', title: 'Requests a second', about: 'all that this app answers', format: whole, least: 10,
    lines: sample => [sample.requests], value: sum,
  },
  {
    id: 'trip', title: 'Round trip', about: 'of /plaintext, from this page', unit: 'ms', format: milliseconds, least: 5,
    lines: sample => [sample.trip], value: sum,
  },
].map(makeChart);

const samples = []; // Of the last minute, the oldest first. Each has its time.
let trip = null; // The last one, in ms; null if there has been no answer.
let tripStart = null; // Of the one that is under way.
let samplesInAll = 0;

function makeChart(chart) {
  const node = $('chart').content.firstElementChild.cloneNode(true);
  node.id = chart.id;
  node.querySelector('h2').textContent = chart.title;
  node.querySelector('.about').textContent = chart.about;
  node.querySelector('.unit').textContent = chart.unit ?? '';
  node.querySelector('svg').setAttribute('aria-label', `${chart.title}, the last minute`);
  $('charts').append(node);
  const part = selector => node.querySelector(selector);
  return { ...chart, node, output: part('output'), series: part('.series'), marks: part('.marks'), top: part('.top') };
}

const colorOf = loop => `var(--loop-${loop % 6})`;

function path(className, color, d) {
  const made = document.createElementNS('http://www.w3.org/2000/svg', 'path');
  made.setAttribute('class', className);
  made.setAttribute('d', d);
  made.style.setProperty('--color', color);
  return made;
}

// A round number at or above a value: 1, 2 or 5 with zeros.
function roundUp(value) {
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 5, 10].map(step => step * power).find(step => step >= value);
}

function draw() {
  const newest = samples.at(-1);
  const x = sample => width - (newest.time - sample.time) / minute * width;
  const handedOver = samples.filter(sample => sample.loops.some(loop => loop.newHandOvers > 0));
  const marks = handedOver.map(sample => `M${x(sample).toFixed(1)} 0V${height}`).join('');

  for (const chart of charts) {
    chart.node.hidden = chart.needsLoops && newest.loops.length === 0;
    if (chart.node.hidden) continue;
    const values = chart.lines(newest).filter(value => value !== null);
    chart.output.textContent = values.length === 0 ? '–' : chart.format(
      chart.value === Math.max ? Math.max(...values) : chart.value(values, newest));

    const largest = Math.max(chart.least, ...samples.flatMap(chart.lines).filter(value => value !== null));
    const top = roundUp(largest);
    const y = value => height - 1 - value / top * (height - 2);
    const made = [];
    const add = (of, className, index) => {
      let d = '', start = null, last = null;
      const close = () => {
        if (className === '' && start !== null) made.unshift(path('area', colorOf(index), `${d}L${last} ${height}L${start} ${height}Z`));
        if (start !== null) made.push(path(className, colorOf(index), d));
        [d, start] = ['', null];
      };
      for (const sample of samples) {
        const value = of(sample)[index] ?? null;
        if (value === null) {
          close();
          continue;
        }
        last = x(sample);
        d += `${start === null ? 'M' : 'L'}${last.toFixed(1)} ${y(value).toFixed(1)}`;
        start ??= last;
      }
      close();
    };
    chart.lines(newest).forEach((_, index) => add(chart.lines, '', index));
    if (chart.seconds) chart.seconds(newest).forEach((_, index) => add(chart.seconds, 'second', index));
    chart.series.replaceChildren(...made);
    chart.marks.replaceChildren(path('', '', marks));
    chart.top.textContent = `${whole(top)}${chart.unit === 'ms' ? ' ms' : ''}`;
  }
}

function describe(server) {
  const loops = `${server.loops} ${server.loops === 1 ? 'loop' : 'loops'}`;
  $('server').textContent = server.backend === null ? 'sockets transport' : `${server.backend}, ${server.dispatch}, ${loops}`;
  const protocol = performance.getEntriesByType('navigation')[0]?.nextHopProtocol;
  const note = server.backend === null
    ? 'This app runs on the sockets transport, whose loops nobody can see. Start it with --transport poller to see them.'
    : server.dispatch !== 'adaptive' ? `Only adaptive dispatch hands over loops, and this app has ${server.dispatch} dispatch.`
    : protocol === 'h2' ? 'Over HTTP/2 Kestrel runs each request on the thread pool, so a block hands over no loop. Open the page by http.'
    : '';
  $('note').textContent = note;
  $('note').hidden = note === '';
  $('takes-over').hidden = note !== '';
  $('stalled').hidden = server.backend === null;
}

// The key to the plots: the hand-overs, and the loops if there are several.
function drawLegend(count) {
  $('legend').hidden = count === 0;
  if (Number($('legend').dataset.loops) === count) return;
  $('legend').dataset.loops = count;
  const item = (text, className, color) => {
    const made = document.createElement('span');
    made.textContent = text;
    made.className = className;
    made.style.setProperty('--color', color);
    return made;
  };
  const loops = count < 2 ? [] : Array.from({ length: count }, (_, index) => item(`loop ${index}`, '', colorOf(index)));
  $('legend').replaceChildren(item('a hand-over', 'hand-over', ''), ...loops);
}

function show(stalls) {
  for (const stall of stalls) {
    const row = $('stalls').insertRow(0);
    const time = new Date().toLocaleTimeString('en-GB');
    const length = stall.seconds >= 1 ? `${stall.seconds.toFixed(2)} s` : `${whole(stall.seconds * 1000)} ms`;
    const handler = stall.handler.split('.').slice(-2).join('.');
    for (const text of [time, stall.loop, length, handler]) row.insertCell().textContent = text;
    row.title = stall.handler;
  }
  while ($('stalls').rows.length > mostStalls) $('stalls').deleteRow(-1);
  if (stalls.length === 0) return;
  $('no-stalls').hidden = true;
  document.querySelector('#stalled table').hidden = false;
}

function take(sample) {
  const time = performance.now();
  const last = samples.at(-1)?.loops ?? [];
  sample.loops.forEach((loop, index) => {
    // What was before the page is none of its news. After a new start of the server they count from 0.
    loop.newHandOvers = last[index] ? Math.max(0, loop.handOvers - last[index].handOvers) : 0;
  });
  const underWay = tripStart === null ? 0 : time - tripStart;
  samples.push({ ...sample, time, trip: trip === null ? null : Math.max(trip, underWay) });
  while (samples[0].time < time - minute) samples.shift();
  document.body.dataset.samples = ++samplesInAll;
  describe(sample.server);
  drawLegend(sample.loops.length);
  show(sample.stalls);
  draw();
}

function say(state, text) {
  $('status').className = state;
  $('status').textContent = text;
}

const source = new EventSource('loops');
source.onopen = () => say('live', 'live');
source.onerror = () => say('lost', 'no answer; trying again'); // It does so by itself.
source.onmessage = message => take(JSON.parse(message.data));

async function measureTrips() {
  while (true) {
    const start = tripStart = performance.now();
    try {
      const response = await fetch('plaintext', { cache: 'no-store' });
      await response.text();
      trip = response.ok ? performance.now() - start : null;
    } catch {
      trip = null; // The server is away. The stream's status says so.
    }
    tripStart = null;
    await new Promise(resolve => setTimeout(resolve, Math.max(0, start + tripEvery - performance.now())));
  }
}
measureTrips();

let blocks = 0;
$('block').onclick = async () => {
  const button = $('block');
  button.disabled = ++blocks === mostBlocks;
  // Kestrel begins a connection on the thread pool, where its first request may run. This leaves one that the loop serves.
  await fetch('plaintext', { cache: 'no-store' }).catch(() => {});
  const start = performance.now();
  const step = () => {
    if (blocks === 0) return;
    button.style.setProperty('--done', `${Math.min(100, (performance.now() - start) / 10)}%`);
    requestAnimationFrame(step);
  };
  requestAnimationFrame(step);
  button.textContent = 'A handler blocks …';
  try {
    await fetch('block?ms=1000', { cache: 'no-store' });
  } catch {
    // As above.
  }
  button.disabled = --blocks === mostBlocks;
  if (blocks > 0) return;
  button.textContent = 'Block for a second';
  button.style.removeProperty('--done');
};
