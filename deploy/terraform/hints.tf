# The queue of hints, and the bucket's notifications to it: docs/hints.md says why each number is what it is.

resource "aws_sqs_queue" "hints" {
  count                      = var.hints ? 1 : 0
  name                       = "${var.name}-hints"
  visibility_timeout_seconds = 120
  message_retention_seconds  = 86400
  sqs_managed_sse_enabled    = true
  redrive_policy = jsonencode({
    deadLetterTargetArn = aws_sqs_queue.dead_letters[0].arn
    maxReceiveCount     = 100 # a hint is put back each time its hour is under way: with 10, good ones would land there
  })
}

resource "aws_sqs_queue" "dead_letters" {
  count                     = var.hints ? 1 : 0
  name                      = "${var.name}-hints-dead-letters"
  message_retention_seconds = 1209600
  sqs_managed_sse_enabled   = true
}

resource "aws_sqs_queue_redrive_allow_policy" "dead_letters" {
  count     = var.hints ? 1 : 0
  queue_url = aws_sqs_queue.dead_letters[0].id
  redrive_allow_policy = jsonencode({
    redrivePermission = "byQueue"
    sourceQueueArns   = [aws_sqs_queue.hints[0].arn]
  })
}

resource "aws_sqs_queue_policy" "hints" {
  count     = var.hints ? 1 : 0
  queue_url = aws_sqs_queue.hints[0].id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "bucket"
      Effect    = "Allow"
      Principal = { Service = "s3.amazonaws.com" }
      Action    = "sqs:SendMessage"
      Resource  = aws_sqs_queue.hints[0].arn
      Condition = {
        ArnLike      = { "aws:SourceArn" = "arn:${data.aws_partition.this.partition}:s3:::${var.source_objects.bucket}" }
        StringEquals = { "aws:SourceAccount" = data.aws_caller_identity.this.account_id }
      }
    }]
  })
}

resource "aws_s3_bucket_notification" "source" {
  count  = var.hints ? 1 : 0
  bucket = var.make_source_bucket ? aws_s3_bucket.this["source"].id : var.source_objects.bucket
  queue {
    id            = "s3-assets-hints"
    queue_arn     = aws_sqs_queue.hints[0].arn
    events        = ["s3:ObjectCreated:*", "s3:ObjectRemoved:*"]
    filter_prefix = var.source_objects.prefix
  }
  depends_on = [aws_sqs_queue_policy.hints] # S3 tries to send when it is told
}
