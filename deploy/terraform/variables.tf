variable "name" {
  type        = string
  description = "What roles, policy and queues are called, or begin with."
  default     = "s3-assets"
}

variable "source_objects" {
  type        = object({ bucket = string, prefix = string })
  description = "Where producers drop their objects, as in S3_ASSETS_SOURCE."
  validation {
    condition     = can(regex("^[^*?$]+/$", var.source_objects.prefix))
    error_message = "The prefix ends in a slash, and holds none of * ? $, which IAM would read as a pattern."
  }
}

variable "target" {
  type        = object({ bucket = string, prefix = string })
  description = "Where the hour files go, as in S3_ASSETS_TARGET."
  validation {
    condition     = can(regex("^[^*?$]+/$", var.target.prefix)) && var.target.bucket != var.source_objects.bucket
    error_message = "The bucket is not that of the sources; the prefix ends in a slash, and holds none of * ? $."
  }
}

variable "backup" {
  type        = object({ bucket = string, prefix = string })
  description = "Where the daily backup goes, as in S3_ASSETS_BACKUP_TARGET; null for no backup."
  default     = null
  validation {
    condition = var.backup == null || try(
      can(regex("^[^*?$]+/$", var.backup.prefix))
      && !contains([var.source_objects.bucket, var.target.bucket], var.backup.bucket),
      false
    )
    error_message = "It has a bucket of its own; the prefix ends in a slash, and holds none of * ? $."
  }
}

variable "make_source_bucket" {
  type        = bool
  description = "False where the producers' bucket is there already: then it is left alone, but for its notifications."
  default     = true
}

variable "hints" {
  type        = bool
  description = "Whether the bucket tells a queue of new objects (docs/hints.md). This replaces all its notifications."
  default     = true
}

variable "keep_versions" {
  type        = number
  description = "How many older versions of each object stay for good; the others go after keep_versions_days."
  default     = 3
  validation {
    condition     = var.keep_versions >= 1
    error_message = "A damaged hour file is rebuilt out of an older version: keep one at least."
  }
}

variable "keep_versions_days" {
  type        = number
  description = "Days after which an object's versions beyond keep_versions are deleted."
  default     = 90
  validation {
    condition     = var.keep_versions_days >= 30
    error_message = "It is the time in which an overwritten row can be brought back: 30 days at least."
  }
}

variable "run_on" {
  type        = set(string)
  description = "Where the pipeline runs: ec2, ecs, eks. Each may take on the role."
  default     = ["ec2"]
  validation {
    condition     = length(setsubtract(var.run_on, ["ec2", "ecs", "eks"])) == 0
    error_message = "It is a set of ec2, ecs and eks."
  }
}

variable "eks" {
  type        = object({ oidc_provider_arn = string, namespace = string, service_account = string })
  description = "With eks in run_on: the cluster's OIDC provider, and the service account of deploy/helm/values.yaml."
  default     = null
  validation {
    condition     = (var.eks != null) == contains(var.run_on, "eks")
    error_message = "It is given with eks in run_on, and only then."
  }
}

variable "ecs_secrets" {
  type        = list(string)
  description = "With ecs in run_on: ARNs of the secrets of deploy/ecs/task-definition.json."
  default     = []
}
