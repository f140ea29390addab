"""SentencePiece's `precompiled_charsmap`: a double-array trie in the layout of darts-clone, and the texts that its values point at."""
import struct

HAS_LEAF, VALUE = 1 << 8, 1 << 31


def make_tree(rules):
    """Nested dictionaries by byte; under the key None the offset of what takes the place, and the texts."""
    tree, texts, offsets = {}, b"", {}
    for key, text in rules.items():
        if text not in offsets:
            offsets[text] = len(texts)
            texts += text.encode() + b"\0"
        node = tree
        for byte in key if isinstance(key, bytes) else key.encode():
            node = node.setdefault(byte, {})
        node[None] = offsets[text]
    return tree, texts


class DoubleArray:
    def __init__(self):
        self.units, self.taken, self.bases, self.first_free = {}, {0}, set(), 1

    def base_for(self, labels):
        """The first number whose children are all free."""
        while self.first_free in self.taken:
            self.first_free += 1
        place = self.first_free
        while True:
            base = place ^ labels[0]
            if base and base not in self.bases and all(base ^ label not in self.taken for label in labels):
                return base
            place += 1

    def place(self, node, index, label):
        labels = [0 if byte is None else byte for byte in node]
        base = self.base_for(labels)
        self.bases.add(base)
        self.taken |= {base ^ child for child in labels}
        assert index ^ base < 1 << 21
        self.units[index] = label | (HAS_LEAF if None in node else 0) | (index ^ base) << 10
        for byte, child in node.items():
            if byte is None:
                self.units[base] = VALUE | child
            else:
                self.place(child, base ^ byte, byte)


def precompiled_map(rules):
    """The bytes of a map of `rules`: text (or bytes) -> text."""
    tree, texts = make_tree(rules)
    array = DoubleArray()
    if tree:
        array.place(tree, 0, 0)
    size = (max([0, *array.taken]) // 256 + 1) * 256
    units = [array.units.get(i, 0) for i in range(size)]
    return struct.pack(f"<I{size}I", 4 * size, *units) + texts
