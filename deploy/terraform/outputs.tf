output "environment" {
  description = "The settings that follow from this."
  value = merge(
    {
      S3_ASSETS_SOURCE = "s3://${var.source_objects.bucket}/${var.source_objects.prefix}"
      S3_ASSETS_TARGET = "s3://${var.target.bucket}/${var.target.prefix}"
    },
    var.backup == null ? {} : { S3_ASSETS_BACKUP_TARGET = "s3://${var.backup.bucket}/${var.backup.prefix}" },
    var.hints ? { S3_ASSETS_HINTS_QUEUE = aws_sqs_queue.hints[0].url } : {},
  )
}

output "run_role_arn" {
  description = "For the service account of deploy/helm/values.yaml, and DAGSTER_CONTAINER_CONTEXT on ECS."
  value       = aws_iam_role.run.arn
}

output "instance_profile" {
  description = "For an EC2 instance."
  value       = one(aws_iam_instance_profile.run[*].name)
}

output "ecs_roles" {
  description = "taskRoleArn and executionRoleArn of deploy/ecs/task-definition.json."
  value       = { service = one(aws_iam_role.service[*].arn), execution = one(aws_iam_role.execution[*].arn) }
}
