"""From numbers to a judgement: every verdict names its evidence, its thresholds and its doubt."""
