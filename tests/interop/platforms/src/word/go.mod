module example.test/word

go 1.26
