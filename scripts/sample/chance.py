"""Chance that is the same on every machine and under every version of Python, unlike the module `random`."""

MASK = (1 << 64) - 1


class Chance:
    """SplitMix64 (Steele, Lea and Flood, 2014): integers only, so there is no rounding to differ."""

    def __init__(self, name):
        self.state = 0xCBF29CE484222325
        for byte in name.encode():  # FNV-1a: every file has its own stream, so that one can change without the others
            self.state = ((self.state ^ byte) * 0x100000001B3) & MASK

    def below(self, bound):
        """An integer in 0..bound."""
        self.state = (self.state + 0x9E3779B97F4A7C15) & MASK
        z = self.state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
        return ((z ^ (z >> 31)) * bound) >> 64

    def percent(self, chance):
        """True `chance` times in a hundred."""
        return self.below(100) < chance

    def pick(self, items):
        """One of the items, the first ones more often: natural text has common and rare words."""
        return items[min(self.below(len(items)), self.below(len(items)))]

    def evenly(self, items):
        """One of the items, each as often."""
        return items[self.below(len(items))]

    def sample(self, items, count):
        """`count` different items in random order."""
        rest = list(items)
        return [rest.pop(self.below(len(rest))) for _ in range(count)]
