"""From scores to decisions: calibration, threshold, referral and predictive values."""
