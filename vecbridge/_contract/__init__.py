"""The contract's vocabulary: protocols, records, answers, metrics, levels, capabilities."""
