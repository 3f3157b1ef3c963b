"""What the first run measured stands beside the estimates of the next plan."""
