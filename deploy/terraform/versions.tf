# What s3_assets needs of AWS: buckets, the queue of hints, the least roles. Not the cluster, the database or the network.
#
#   terraform init && terraform plan -var-file=my.tfvars

terraform {
  required_version = ">= 1.9" # validations that look at other variables
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.0, < 7.0"
    }
  }
}

data "aws_caller_identity" "this" {}
data "aws_partition" "this" {}
data "aws_region" "this" {}
