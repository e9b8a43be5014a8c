module sealift.build/slowline

go 1.24.0
