"""Writes cells.csv and cells.tsv with Python's csv module, and cells.jsonl with the same rows, for csv_rows_test.cc."""

import csv
import json
import pathlib
import random

ALPHABET = ['a', 'B', '7', ' ', '"', '""', ',', '\t', '\n', '\r\n', "'", '\\', '{', ';', '=', '\u00e9', '\u4e2d',
            '\U0001f600']


def main():
    folder = pathlib.Path(__file__).parent
    rng = random.Random(6)
    rows = []
    for number in range(120):
        cells = [''.join(rng.choice(ALPHABET) for _ in range(rng.randint(1, 12))) for _ in range(2)]
        rows.append({'id': f'row {number}', 'left': cells[0], 'right': cells[1]})
    for name, delimiter, terminator in (('cells.csv', ',', '\r\n'), ('cells.tsv', '\t', '\n')):
        with open(folder / name, 'w', encoding='utf-8', newline='') as file:
            writer = csv.writer(file, delimiter=delimiter, lineterminator=terminator)
            writer.writerow(['id', 'left', 'right'])
            for row in rows:
                writer.writerow([row['id'], row['left'], row['right']])
    with open(folder / 'cells.jsonl', 'w', encoding='utf-8', newline='\n') as file:
        for row in rows:
            file.write(json.dumps(row) + '\n')


main()
