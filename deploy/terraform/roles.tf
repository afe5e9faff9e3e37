# Who may what. `run` is what sensors, runs and the CLI need; on ECS `service` may launch tasks as well, and `execution`
# starts them.

module "policy" {
  source          = "./policy"
  partition       = data.aws_partition.this.partition
  source_objects  = var.source_objects
  target          = var.target
  backup          = var.backup
  hints_queue_arn = var.hints ? aws_sqs_queue.hints[0].arn : null
}

locals {
  trusts_service = [for place, service in { ec2 = "ec2", ecs = "ecs-tasks" } : service if contains(var.run_on, place)]
  oidc_host      = try(replace(var.eks.oidc_provider_arn, "/^[^/]*\\//", ""), "")
  trust = concat(
    [
      for service in local.trusts_service : {
        Effect    = "Allow"
        Action    = "sts:AssumeRole"
        Principal = { Service = "${service}.amazonaws.com" }
      }
    ],
    [
      for eks in [var.eks] : {
        Effect    = "Allow"
        Action    = "sts:AssumeRoleWithWebIdentity"
        Principal = { Federated = eks.oidc_provider_arn }
        Condition = {
          StringEquals = {
            "${local.oidc_host}:aud" = "sts.amazonaws.com"
            "${local.oidc_host}:sub" = "system:serviceaccount:${eks.namespace}:${eks.service_account}"
          }
        }
      } if eks != null
    ],
  )
  trust_ecs = jsonencode({
    Version   = "2012-10-17"
    Statement = [{ Effect = "Allow", Action = "sts:AssumeRole", Principal = { Service = "ecs-tasks.amazonaws.com" } }]
  })
  on_ecs = contains(var.run_on, "ecs") ? 1 : 0
}

resource "aws_iam_policy" "pipeline" {
  name   = "${var.name}-pipeline"
  policy = module.policy.json
}

resource "aws_iam_role" "run" {
  name               = "${var.name}-run"
  assume_role_policy = jsonencode({ Version = "2012-10-17", Statement = local.trust })
}

resource "aws_iam_role_policy_attachment" "run" {
  role       = aws_iam_role.run.name
  policy_arn = aws_iam_policy.pipeline.arn
}

resource "aws_iam_instance_profile" "run" {
  count = contains(var.run_on, "ec2") ? 1 : 0
  name  = aws_iam_role.run.name
  role  = aws_iam_role.run.name
}

resource "aws_iam_role" "service" {
  count              = local.on_ecs
  name               = "${var.name}-service"
  assume_role_policy = local.trust_ecs
}

resource "aws_iam_role_policy_attachment" "service" {
  count      = local.on_ecs
  role       = aws_iam_role.service[0].name
  policy_arn = aws_iam_policy.pipeline.arn
}

resource "aws_iam_role_policy" "launch" {
  count = local.on_ecs
  name  = "launch"
  role  = aws_iam_role.service[0].name
  policy = replace(replace(replace(replace(
    file("${path.module}/../ecs/launch-policy.json"),
    "arn:aws:", "arn:${data.aws_partition.this.partition}:"),
    "eu-west-1", data.aws_region.this.id),
    "123456789012", data.aws_caller_identity.this.account_id),
  "role/s3-assets-", "role/${var.name}-")
}

resource "aws_iam_role" "execution" {
  count              = local.on_ecs
  name               = "${var.name}-execution"
  assume_role_policy = local.trust_ecs
}

resource "aws_iam_role_policy_attachment" "execution" {
  count      = local.on_ecs
  role       = aws_iam_role.execution[0].name
  policy_arn = "arn:${data.aws_partition.this.partition}:iam::aws:policy/service-role/AmazonECSTaskExecutionRolePolicy"
}

resource "aws_iam_role_policy" "secrets" {
  count = length(var.ecs_secrets) > 0 ? local.on_ecs : 0
  name  = "secrets"
  role  = aws_iam_role.execution[0].name
  policy = jsonencode({
    Version   = "2012-10-17"
    Statement = [{ Effect = "Allow", Action = "secretsmanager:GetSecretValue", Resource = var.ecs_secrets }]
  })
}
