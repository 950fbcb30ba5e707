#!/usr/bin/env bash
# Apply hello.yaml to the cluster of the given windlass command, ask each pod, and say what to try next.
set -euo pipefail
windlass=${1:-windlass}
export KUBECONFIG
KUBECONFIG=$("$windlass" kubeconfig)
here=$(dirname "$0")
kubectl apply -f "$here/hello.yaml"
kubectl rollout status deployment/hello --timeout=120s
# Pods on their way out answer no more.
alive='{{range .items}}{{if not .metadata.deletionTimestamp}}{{.status.podIP}} {{end}}{{end}}'
for ip in $(kubectl get pods -l app=hello -o go-template="$alive"); do
    printf '%s: ' "$ip"
    timeout 10 curl -sS --max-time 5 --retry 5 --retry-connrefused --retry-delay 1 "http://$ip:8080/" || echo "no answer"
done
"$windlass" status
cat <<TEXT

The kubeconfig is $KUBECONFIG. Try:
  export KUBECONFIG=$KUBECONFIG
  kubectl get pods -o wide
  kubectl scale deployment/hello --replicas=5
  kubectl logs -l app=hello --prefix
\`make down\` stops it all.
TEXT
