"""What operators remember: vectorised structures of numpy arrays and immutable Arrow data.

In: slots, hashes, Arrow arrays. Out: the same; and for the engine, each structure is a ``State`` that can be
snapshotted, restored, measured and read. No operator, no SQL, no file is known here.

Reading order: ``base`` (the contract), ``hashing`` and ``equality`` (what SQL takes as the same),
``key_index`` (key → slot) over ``probe_table``, ``key_columns`` and ``expiry``; ``slot_column`` (slot →
value) over ``fixed_values``, ``text_values`` and ``value_log``, with ``int128`` for DECIMAL; ``run_store``
(key → rows) over ``runs``, ``run_merge`` and ``consolidate``; ``slice_store`` (time slice → partial rows);
``scalars``. ``dirty`` and ``keyed`` are about cuts: what changed, and how cuts add up; ``engine_hash`` about
restoring under another hash function; ``memory`` about state larger than memory. ``buffers`` and ``texts``
turn Arrow arrays into numpy arrays and back.
"""
