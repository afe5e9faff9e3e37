# Buckets. What their lifecycle must never do, because a guarantee hangs on it (docs/guarantees.md):
#
# - expire hour files: rows of sources that are gone are nowhere else (6, 13);
# - expire the last versions of an hour file: a rebuild takes such rows from there (13), so keep_versions stay for good;
# - expire sources where a policy says on_vanished = "drop": their rows would go with them (6);
# - move sources or hour files to an archive: both are read and spliced at any time, for late files too (4);
# - abort an upload that is still being made: a run has 12 hours, and a backup goes on with its parts on the next day.

locals {
  buckets = merge(
    var.make_source_bucket ? { source = { bucket = var.source_objects.bucket, abort_days = 7 } } : {},
    { target = { bucket = var.target.bucket, abort_days = 2 } },
    var.backup == null ? {} : { backup = { bucket = var.backup.bucket, abort_days = 7 } },
  )
}

resource "aws_s3_bucket" "this" {
  for_each = local.buckets
  bucket   = each.value.bucket
  lifecycle {
    prevent_destroy = true
  }
}

resource "aws_s3_bucket_versioning" "this" {
  for_each = local.buckets
  bucket   = aws_s3_bucket.this[each.key].id
  versioning_configuration {
    status = "Enabled"
  }
}

resource "aws_s3_bucket_server_side_encryption_configuration" "this" {
  for_each = local.buckets
  bucket   = aws_s3_bucket.this[each.key].id
  rule {
    apply_server_side_encryption_by_default {
      sse_algorithm = "AES256" # a KMS key of yours needs two more rights: docs/doctor.md
    }
  }
}

resource "aws_s3_bucket_public_access_block" "this" {
  for_each                = local.buckets
  bucket                  = aws_s3_bucket.this[each.key].id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_ownership_controls" "this" {
  for_each = local.buckets
  bucket   = aws_s3_bucket.this[each.key].id
  rule {
    object_ownership = "BucketOwnerEnforced" # what another account puts can be read
  }
}

resource "aws_s3_bucket_policy" "this" {
  for_each = local.buckets
  bucket   = aws_s3_bucket.this[each.key].id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "OnlyTls"
      Effect    = "Deny"
      Principal = "*"
      Action    = "s3:*"
      Resource  = [aws_s3_bucket.this[each.key].arn, "${aws_s3_bucket.this[each.key].arn}/*"]
      Condition = { Bool = { "aws:SecureTransport" = "false" } }
    }]
  })
  depends_on = [aws_s3_bucket_public_access_block.this]
}

resource "aws_s3_bucket_lifecycle_configuration" "this" {
  for_each = local.buckets
  bucket   = aws_s3_bucket.this[each.key].id

  rule {
    id     = "older-versions"
    status = "Enabled"
    filter {}
    noncurrent_version_expiration {
      noncurrent_days           = var.keep_versions_days
      newer_noncurrent_versions = var.keep_versions
    }
  }

  rule {
    id     = "uploads-left-open"
    status = "Enabled"
    filter {}
    abort_incomplete_multipart_upload {
      days_after_initiation = each.value.abort_days
    }
  }

  depends_on = [aws_s3_bucket_versioning.this]
}
