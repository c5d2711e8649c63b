# A vault for Firn's ice: Google Cloud Storage with a locked retention policy. Printed by `iceboxer setup gcs`; nothing of it was applied.
#
# Read it, then apply it from an administrator's machine, never from the backup server:
#
#   terraform init && terraform plan && terraform apply -var project=YOUR-PROJECT
#
# Before you do:
#
# - Use a project of its own, for this bucket only, with a billing account that nobody on the backup server can touch. The lock puts a lien on the
#   project, so that it cannot be deleted while the bucket holds locked objects; an unpaid bill does not wait.
# - A locked retention policy can be lengthened, never shortened or removed: nobody deletes or replaces an object before it is @DAYS@ days old.
# - Objects can be locked for longer than that, each by itself; iceboxer does. Such a lock can reach 100 years and cannot be taken back: who steals the
#   writer's key can lose you money, though no ice. Without the role firnIceLock he cannot, but then iceboxer can lock nothing for longer
#   either: retention_days in ice.toml must be two days less than @DAYS@, and ice is not kept until a newer one is proved.
# - Nothing here removes ice whose lock has ended; you do, with another account than the writer's.
# - The state file of Terraform gets no secret: the writer's key is made by hand, and goes to the backup server only:
#
#   gcloud iam service-accounts keys create writer.json --iam-account=firn-ice-writer@YOUR-PROJECT.iam.gserviceaccount.com

terraform {
  required_version = ">= 1.3"
  required_providers {
    google = {
      source  = "hashicorp/google"
      version = ">= 5.0"
    }
  }
}

variable "project" {
  type = string
}

provider "google" {
  project = var.project
  region  = "@REGION@"
}

resource "google_storage_bucket" "ice" {
  name                        = "@BUCKET@"
  location                    = "@REGION@"
  storage_class               = "NEARLINE"
  force_destroy               = false
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"
  enable_object_retention     = true

  # @DAYS@ days. Set is_locked to false for a first try, and to true before you rely on it: that step cannot be taken back.
  retention_policy {
    retention_period = @SECONDS@
    is_locked        = true
  }

  # The only rule: parts of uploads that were never finished are paid for and nowhere listed. Nothing expires.
  lifecycle_rule {
    action {
      type = "AbortIncompleteMultipartUpload"
    }
    condition {
      age = 7
    }
  }

  lifecycle {
    prevent_destroy = true
  }
}

# The account of iceboxer on the backup server. It creates, lists, reads back and lengthens locks. It cannot delete or replace (both need
# storage.objects.delete), nor lift a lock, nor change the bucket.
resource "google_service_account" "writer" {
  account_id   = "firn-ice-writer"
  display_name = "Firn ice: writer"
}

resource "google_storage_bucket_iam_member" "writer_creates" {
  bucket = google_storage_bucket.ice.name
  role   = "roles/storage.objectCreator"
  member = "serviceAccount:${google_service_account.writer.email}"
}

resource "google_project_iam_custom_role" "look" {
  role_id = "firnIceLook"
  title   = "Firn ice: look"
  permissions = [
    @LOOK@
  ]
}

resource "google_storage_bucket_iam_member" "writer_looks" {
  bucket = google_storage_bucket.ice.name
  role   = google_project_iam_custom_role.look.id
  member = "serviceAccount:${google_service_account.writer.email}"
}

resource "google_project_iam_custom_role" "lock" {
  role_id = "firnIceLock"
  title   = "Firn ice: lock"
  permissions = [
    @LOCK@
  ]
}

resource "google_storage_bucket_iam_member" "writer_locks" {
  bucket = google_storage_bucket.ice.name
  role   = google_project_iam_custom_role.lock.id
  member = "serviceAccount:${google_service_account.writer.email}"
}

# The account of a person who restores: reads, never writes. Not for the backup server.
resource "google_service_account" "restore" {
  account_id   = "firn-ice-restore"
  display_name = "Firn ice: restore"
}

resource "google_storage_bucket_iam_member" "restore_reads" {
  bucket = google_storage_bucket.ice.name
  role   = google_project_iam_custom_role.look.id
  member = "serviceAccount:${google_service_account.restore.email}"
}
