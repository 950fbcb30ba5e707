"""Server-side apply and the record of who owns which field (`metadata.managedFields`). Pure.

`fieldset` and `steps`: sets of fields and their algebra. `shapes`: which parts of a value have owners of their own,
and the structured merge; `kinds` makes them of schemas. `managers`: entries after an update. `envelope`: how it is
stored. `applying`: an apply, with conflicts and the fields that it lets go.
"""
