"""Which version is champion: a challenger evaluated against it, the policy, and a log of decisions."""
