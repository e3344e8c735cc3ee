"""What the scripts of families with experts share."""


def swap_experts(state, part, count):
    """The same experts, each under the number that counts from the other end: a router that finds them otherwise."""
    swapped = {}
    for name, value in state.items():
        if f"{part}." in name:
            before, after = name.split(f"{part}.")
            number, rest = after.split(".", 1)
            name = f"{before}{part}.{count - 1 - int(number)}.{rest}"
        swapped[name] = value
    return swapped
