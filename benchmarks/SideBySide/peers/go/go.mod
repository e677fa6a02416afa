module sidebyside

go 1.18
