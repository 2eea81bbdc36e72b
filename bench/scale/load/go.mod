module wherry.example/load

go 1.21
