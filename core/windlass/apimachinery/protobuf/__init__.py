"""Read request bodies in Kubernetes' protobuf form.

kubectl's typed commands (`create configmap`, `drain`, ...) send `application/vnd.kubernetes.protobuf` and have no
fallback when a server refuses it. Answers stay JSON, which every client accepts beside protobuf. `fields.json` holds the
published field numbers: message -> number -> [name, type], where a type is a scalar code, a message, `[` + item for
lists or `{` + value for maps.
"""

from windlass.apimachinery.protobuf.decode import MEDIA_TYPE, decode_object

__all__ = ["MEDIA_TYPE", "decode_object"]
