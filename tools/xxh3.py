"""XXH3-64 with seed 0 and the default secret, from the xxHash specification.

Slow and without any module: it is here so that tests can check artifacts independently of the library that wrote them.
"""

MASK = (1 << 64) - 1
P32_1, P32_2, P32_3 = 0x9E3779B1, 0x85EBCA77, 0xC2B2AE3D
P64_1, P64_2, P64_3 = 0x9E3779B185EBCA87, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9
P64_4, P64_5 = 0x85EBCA77C2B2AE63, 0x27D4EB2F165667C5
MX1, MX2 = 0x165667919E3779F9, 0x9FB21C651E98DF25

SECRET = bytes.fromhex(
    "b8fe6c3923a44bbe7c01812cf721ad1cded46de9839097db7240a4a4b7b3671f"
    "cb79e64eccc0e578825ad07dccff7221b8084674f743248ee03590e6813a264c"
    "3c2852bb91c300cb88d0658b1b532ea371644897a20df94e3819ef46a9deacd8"
    "a8fa763fe39c343ff9dcbbc7c70b4f1d8a51e04bcdb45931c89f7ec9d9787364"
    "eac5ac8334d3ebc3c581a0fffa1363eb170ddd51b7f0da49d316552629d4689e"
    "2b16be587d47a1fc8ff8b8d17ad031ce45cb3a8f95160428afd7fbcabb4b407e"
)


def _u32(data, at):
    return int.from_bytes(data[at : at + 4], "little")


def _u64(data, at):
    return int.from_bytes(data[at : at + 8], "little")


def _swap64(value):
    return int.from_bytes(value.to_bytes(8, "little"), "big")


def _rotl(value, bits):
    return ((value << bits) | (value >> (64 - bits))) & MASK


def _fold(a, b):
    product = a * b
    return (product & MASK) ^ (product >> 64)


def _avalanche(h):
    h ^= h >> 37
    h = h * MX1 & MASK
    return h ^ (h >> 32)


def _avalanche_xxh64(h):
    h ^= h >> 33
    h = h * P64_2 & MASK
    h ^= h >> 29
    h = h * P64_3 & MASK
    return h ^ (h >> 32)


def _mix16(data, at, secret_at):
    low = _u64(data, at) ^ _u64(SECRET, secret_at)
    high = _u64(data, at + 8) ^ _u64(SECRET, secret_at + 8)
    return _fold(low, high)


def _up_to_16(data):
    size = len(data)
    if size == 0:
        return _avalanche_xxh64(_u64(SECRET, 56) ^ _u64(SECRET, 64))
    if size <= 3:
        combined = data[0] << 16 | data[size >> 1] << 24 | data[size - 1] | size << 8
        return _avalanche_xxh64(combined ^ _u32(SECRET, 0) ^ _u32(SECRET, 4))
    if size <= 8:
        h = (_u32(data, size - 4) + (_u32(data, 0) << 32)) ^ _u64(SECRET, 8) ^ _u64(SECRET, 16)
        h ^= _rotl(h, 49) ^ _rotl(h, 24)
        h = h * MX2 & MASK
        h ^= (h >> 35) + size
        h = h * MX2 & MASK
        return h ^ (h >> 28)
    low = _u64(data, 0) ^ _u64(SECRET, 24) ^ _u64(SECRET, 32)
    high = _u64(data, size - 8) ^ _u64(SECRET, 40) ^ _u64(SECRET, 48)
    return _avalanche((size + _swap64(low) + high + _fold(low, high)) & MASK)


def _up_to_240(data):
    size = len(data)
    acc = size * P64_1
    if size <= 128:
        for i in range((size - 1) // 32 + 1):
            acc += _mix16(data, 16 * i, 32 * i) + _mix16(data, size - 16 * (i + 1), 32 * i + 16)
        return _avalanche(acc & MASK)
    for i in range(8):
        acc += _mix16(data, 16 * i, 16 * i)
    acc = _avalanche(acc & MASK)
    for i in range(8, size // 16):
        acc += _mix16(data, 16 * i, 16 * (i - 8) + 3)
    return _avalanche((acc + _mix16(data, size - 16, 119)) & MASK)


def _accumulate(acc, data, at, secret_at):
    for i in range(8):
        value = _u64(data, at + 8 * i)
        key = value ^ _u64(SECRET, secret_at + 8 * i)
        acc[i ^ 1] = (acc[i ^ 1] + value) & MASK
        acc[i] = (acc[i] + (key & 0xFFFFFFFF) * (key >> 32)) & MASK


def _scramble(acc):
    for i in range(8):
        value = acc[i] ^ (acc[i] >> 47) ^ _u64(SECRET, 128 + 8 * i)
        acc[i] = value * P32_1 & MASK


def _long(data):
    size = len(data)
    acc = [P32_3, P64_1, P64_2, P64_3, P64_4, P32_2, P64_5, P32_1]
    blocks = (size - 1) // 1024
    for block in range(blocks):
        for stripe in range(16):
            _accumulate(acc, data, 1024 * block + 64 * stripe, 8 * stripe)
        _scramble(acc)
    for stripe in range((size - 1 - 1024 * blocks) // 64):
        _accumulate(acc, data, 1024 * blocks + 64 * stripe, 8 * stripe)
    _accumulate(acc, data, size - 64, 121)
    result = size * P64_1
    for i in range(4):
        low = acc[2 * i] ^ _u64(SECRET, 11 + 16 * i)
        high = acc[2 * i + 1] ^ _u64(SECRET, 19 + 16 * i)
        result += _fold(low, high)
    return _avalanche(result & MASK)


def xxh3_64(data):
    """The 64-bit hash of a bytes-like object."""
    data = bytes(data)
    if len(data) <= 16:
        return _up_to_16(data)
    return _up_to_240(data) if len(data) <= 240 else _long(data)
