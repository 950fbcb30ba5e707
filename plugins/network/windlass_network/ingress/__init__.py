"""Ingress through nginx: `plan` decides (pure), `nginx_config` writes, `nginx` runs it, `controller` watches and tells."""
