"""What may change through `pods/ephemeralcontainers`: debugging containers are added, and stay as they are."""

from windlass.apimachinery.field_errors import forbidden
from windlass.apimachinery.meta import deep_copy_json
from windlass.apimachinery.scheme import Obj
from windlass.errors import FieldError

FIELD = "ephemeralContainers"
PATH = f"spec.{FIELD}"
MIRROR = "kubernetes.io/config.mirror"


def keep_all_but_ephemeral(new: Obj, old: Obj) -> None:
    """Make `new` the old pod with the new one's ephemeral containers. In place."""
    asked = (new.get("spec") or {}).get(FIELD)
    version = new["metadata"].get("resourceVersion")
    new.clear()
    new.update(deep_copy_json(old))
    if version:
        new["metadata"]["resourceVersion"] = version
    if asked:
        new["spec"][FIELD] = asked
    else:
        new["spec"].pop(FIELD, None)


def validate_ephemeral_update(new: Obj, old: Obj) -> list[FieldError]:
    """Refuse to change or remove what is there, and to add anything to a static pod."""
    if MIRROR in (old["metadata"].get("annotations") or {}):
        return [forbidden("", "static pods do not support ephemeral containers")]
    after = {container.get("name"): (index, container) for index, container in enumerate(new["spec"].get(FIELD) or ())}
    found = []
    for container in old["spec"].get(FIELD) or ():
        name = container.get("name")
        if name not in after:
            found.append(forbidden(PATH, f'existing ephemeral containers "{name}" may not be removed'))
        elif after[name][1] != container:
            where = f"{PATH}[{after[name][0]}]"
            found.append(forbidden(where, f'existing ephemeral containers "{name}" may not be changed'))
    return found
