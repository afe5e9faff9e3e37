# The least policy of the pipeline: ../../iam-policy.json, which a test keeps equal to what `s3-assets doctor --policy`
# prints, with other names. It needs no provider, so it can be tried by itself.

variable "partition" {
  type        = string
  description = "aws, aws-cn or aws-us-gov."
  default     = "aws"
}

variable "source_objects" {
  type        = object({ bucket = string, prefix = string })
  description = "Where producers drop their objects, as in S3_ASSETS_SOURCE."
}

variable "target" {
  type        = object({ bucket = string, prefix = string })
  description = "Where the hour files go, as in S3_ASSETS_TARGET."
}

variable "backup" {
  type        = object({ bucket = string, prefix = string })
  description = "Where the daily backup goes, as in S3_ASSETS_BACKUP_TARGET; null where there is none."
  default     = null
}

variable "hints_queue_arn" {
  type        = string
  description = "The queue of S3_ASSETS_HINTS_QUEUE; null where there is none."
  default     = null
}

locals {
  example = jsondecode(file("${path.module}/../../iam-policy.json"))
  s3      = "arn:${var.partition}:s3:::"

  # What there is none of is null, and its statements are left out. A name that is not listed here is an error.
  resources = {
    "arn:aws:s3:::my-raw-bucket"                               = "${local.s3}${var.source_objects.bucket}"
    "arn:aws:s3:::my-raw-bucket/source/*"                      = "${local.s3}${var.source_objects.bucket}/${var.source_objects.prefix}*"
    "arn:aws:s3:::my-hourly-bucket"                            = "${local.s3}${var.target.bucket}"
    "arn:aws:s3:::my-hourly-bucket/target/*"                   = "${local.s3}${var.target.bucket}/${var.target.prefix}*"
    "arn:aws:s3:::my-hourly-bucket/target/_s3_assets_doctor.*" = "${local.s3}${var.target.bucket}/${var.target.prefix}_s3_assets_doctor.*"
    "arn:aws:s3:::my-backup-bucket"                            = try("${local.s3}${var.backup.bucket}", null)
    "arn:aws:s3:::my-backup-bucket/events/*"                   = try("${local.s3}${var.backup.bucket}/${var.backup.prefix}*", null)
    "arn:aws:sqs:eu-west-1:123456789012:s3-assets-hints"       = var.hints_queue_arn
  }
  prefixes = {
    "source/*"             = "${var.source_objects.prefix}*"
    "target/*"             = "${var.target.prefix}*"
    "events/*"             = try("${var.backup.prefix}*", null)
    ".s3_assets-staging/*" = ".s3_assets-staging/*"
  }

  statements = [
    for one in local.example.Statement : merge(
      { for name, value in one : name => value if !contains(["Resource", "Condition"], name) },
      { Resource = local.resources[one.Resource] },
      {
        for name in ["Condition"] : name => {
          StringLikeIfExists = {
            "s3:prefix" = [for prefix in one.Condition.StringLikeIfExists["s3:prefix"] : local.prefixes[prefix]]
          }
        } if can(one.Condition)
      },
    ) if local.resources[one.Resource] != null
  ]
}

output "json" {
  description = "The policy document."
  value       = jsonencode({ Version = local.example.Version, Statement = local.statements })
}
