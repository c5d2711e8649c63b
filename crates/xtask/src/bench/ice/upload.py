"""Uploads what comes on standard input, as a person would with boto3: upload.py ENDPOINT ACCESS SECRET BUCKET KEY"""
import sys

import boto3

endpoint, access, secret, bucket, key = sys.argv[1:]
client = boto3.client(
    "s3",
    endpoint_url=endpoint,
    aws_access_key_id=access,
    aws_secret_access_key=secret,
    region_name="us-east-1",
)
client.upload_fileobj(sys.stdin.buffer, bucket, key)
