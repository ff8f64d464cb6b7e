"""From numbers to a judgement."""
