"""Where weights come from: folders, S3, the hubs and the embedded default model."""
