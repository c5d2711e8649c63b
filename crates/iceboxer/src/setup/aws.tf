# A vault for Firn's ice: Amazon S3 with Object Lock. Printed by `iceboxer setup aws`; nothing of it was applied.
#
# Read it, then apply it from an administrator's machine, never from the backup server:
#
#   terraform init && terraform plan && terraform apply
#
# Before you do:
#
# - Use an account of its own, for this bucket only, in an organization whose management account is used for nothing else. Compliance mode binds
#   everybody, the root user too; closing the account does not wait for any lock. So: a second factor on the root user, its keys removed, and a
#   service control policy on the account that denies organizations:LeaveOrganization, account:CloseAccount and s3:BypassGovernanceRetention.
# - A lock in compliance mode cannot be taken back by anyone. What is put by mistake is paid for until its date.
# - @DAYS@ days is the least that a lock may have here, @DAYS_MAX@ the most: as retention_days and retention_days_max in ice.toml.
# - Nothing here removes ice whose lock has ended; you do, with another account than the writer's.
# - The state file of Terraform gets no secret: the writer's key is made by hand, and goes to the backup server only:
#
#   aws iam create-access-key --user-name firn-ice-writer

terraform {
  required_version = ">= 1.3"
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.0"
    }
  }
}

provider "aws" {
  region = "@REGION@"
}

data "aws_caller_identity" "here" {}

resource "aws_s3_bucket" "ice" {
  bucket              = "@BUCKET@"
  object_lock_enabled = true
  force_destroy       = false

  lifecycle {
    prevent_destroy = true
  }
}

resource "aws_s3_bucket_versioning" "ice" {
  bucket = aws_s3_bucket.ice.id

  versioning_configuration {
    status = "Enabled"
  }
}

# For what is put without a lock of its own. Compliance, not governance: governance can be bypassed.
resource "aws_s3_bucket_object_lock_configuration" "ice" {
  bucket     = aws_s3_bucket.ice.id
  depends_on = [aws_s3_bucket_versioning.ice]

  rule {
    default_retention {
      mode = "COMPLIANCE"
      days = @DAYS@
    }
  }
}

resource "aws_s3_bucket_public_access_block" "ice" {
  bucket                  = aws_s3_bucket.ice.id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

# No access lists: only policies count.
resource "aws_s3_bucket_ownership_controls" "ice" {
  bucket = aws_s3_bucket.ice.id

  rule {
    object_ownership = "BucketOwnerEnforced"
  }
}

# The provider's own key, not one of KMS: whoever deletes a KMS key deletes all that is under it. The ice is encrypted anyway.
resource "aws_s3_bucket_server_side_encryption_configuration" "ice" {
  bucket = aws_s3_bucket.ice.id

  rule {
    apply_server_side_encryption_by_default {
      sse_algorithm = "AES256"
    }
  }
}

# The only rule: parts of uploads that were never finished are paid for and nowhere listed. Nothing expires.
resource "aws_s3_bucket_lifecycle_configuration" "ice" {
  bucket     = aws_s3_bucket.ice.id
  depends_on = [aws_s3_bucket_versioning.ice]

  rule {
    id     = "abort-unfinished"
    status = "Enabled"

    filter {}

    abort_incomplete_multipart_upload {
      days_after_initiation = 7
    }
  }
}

# What nobody may do, and what the writer may never do, held by the bucket itself.
resource "aws_s3_bucket_policy" "ice" {
  bucket     = aws_s3_bucket.ice.id
  depends_on = [aws_s3_bucket_public_access_block.ice, aws_iam_user.writer]

  policy = <<-JSON
    @BUCKET_POLICY@
  JSON
}

# The account of iceboxer on the backup server. It puts, locks, lists and reads back; reading is needed because a HEAD has no permission of its
# own, and shows nothing but ciphertext. It cannot delete, shorten a lock, thaw, or change the bucket.
resource "aws_iam_user" "writer" {
  name = "firn-ice-writer"
}

resource "aws_iam_policy" "writer" {
  name = "firn-ice-writer"

  policy = <<-JSON
    @WRITER_POLICY@
  JSON
}

resource "aws_iam_user_policy_attachment" "writer" {
  user       = aws_iam_user.writer.name
  policy_arn = aws_iam_policy.writer.arn
}

# The role of a person who restores: reads and thaws, never writes. Not for the backup server: thawing all of it is a bill of its own.
# A large ice takes longer than the hour that a session lasts unless more is asked for. Twelve hours are the most:
#
#   aws sts assume-role --role-arn ROLE --role-session-name restore --duration-seconds 43200 --serial-number DEVICE --token-code CODE
#
# A restore that outlives its session ends with 36, and goes on where it ended with new credentials.
resource "aws_iam_role" "restore" {
  name                 = "firn-ice-restore"
  max_session_duration = 43200

  assume_role_policy = <<-JSON
    @RESTORE_TRUST@
  JSON
}

resource "aws_iam_role_policy" "restore" {
  name = "firn-ice-restore"
  role = aws_iam_role.restore.id

  policy = <<-JSON
    @RESTORE_POLICY@
  JSON
}
