{{/* The TelemetryConfig `default`. Helm looks up every kind before it makes anything, and does not
wait for one to be served: where the definition comes with this very release, the leader of the replicas
makes the object, of a manifest in the Deployment. In nothing else: who writes a ConfigMap could have
Pharos write a TelemetryConfig that names Secrets. */}}

{{/* With annotations of the argument `annotations`. Where Helm is not to make it, they say whose it is. */}}
{{- define "pharos.telemetryconfig" }}
apiVersion: telemetry.pharos.dev/v1alpha1
kind: TelemetryConfig
metadata:
  name: default
  namespace: {{ .Release.Namespace }}
  labels:
    {{- include "pharos.labels" . | nindent 4 }}
  {{- with .annotations }}
  annotations:
    meta.helm.sh/release-name: {{ $.Release.Name }}
    meta.helm.sh/release-namespace: {{ $.Release.Namespace }}
    {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  {{- toYaml .Values.telemetry.config | nindent 2 }}
{{- end }}

{{/* Whether its kind is served. */}}
{{- define "pharos.telemetryconfigIsServed" -}}
{{- if .Capabilities.APIVersions.Has "telemetry.pharos.dev/v1alpha1" -}}
true
{{- end -}}
{{- end }}

{{/* Marks what a replica has made, until Helm makes it anew. */}}
{{- define "pharos.createdByReplica" -}}
telemetry.pharos.dev/created-by-replica
{{- end }}

{{/* What a replica is to make, in JSON; empty if nothing. The kubelet would expand what looks like
$(VARIABLE), and Linux takes no argument of more than 128 KiB. */}}
{{- define "pharos.createTelemetryconfig" -}}
{{- if and .Values.telemetry.createDefault (not (include "pharos.telemetryconfigIsServed" .)) -}}
{{- $annotations := dict (include "pharos.createdByReplica" .) "true" -}}
{{- $manifest := include "pharos.telemetryconfig" (merge (dict "annotations" $annotations) .) | fromYaml | toJson -}}
{{- if gt (len $manifest) 100000 -}}
{{- fail "telemetry.config is too long to be given to a replica: install the definitions first (pharos crds | kubectl apply --server-side -f -), with crds.enabled=false, or make the TelemetryConfig yourself, with telemetry.createDefault=false" -}}
{{- end -}}
{{- $manifest | replace "$" "\\u0024" -}}
{{- end -}}
{{- end }}
