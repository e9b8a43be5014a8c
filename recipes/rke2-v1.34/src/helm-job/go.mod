module sealift.build/helm-job

go 1.24
