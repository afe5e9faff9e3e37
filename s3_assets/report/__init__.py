"""What producers do, in numbers and pictures: the arrivals, gaps, sizes and quarantined sources of one event's day.

Pure: from what a listing and the ledgers say to numbers (`day`), and from numbers to small images (`charts`). Nothing
is read or written here, and nothing is judged: whether a producer keeps its rhythm is another module's question.
"""
