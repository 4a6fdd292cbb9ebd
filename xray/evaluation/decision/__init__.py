"""From scores to decisions: calibration, threshold, referral, and what a decision is worth."""
