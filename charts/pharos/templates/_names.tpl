{{/* Names and labels. A namespace holds one engine: its Leases and its Secret have fixed names. */}}

{{/* Of what is in the namespace. */}}
{{- define "pharos.fullname" -}}
{{- $release := .Release.Name | replace "." "-" -}}
{{- $name := contains "pharos" $release | ternary $release (printf "%s-pharos" $release) -}}
{{- .Values.fullnameOverride | default $name | trunc 52 | trimSuffix "-" -}}
{{- end }}

{{/* The end of the name of what belongs to the whole cluster. No namespace has a dot in its name, so
no two releases share it. */}}
{{- define "pharos.scope" -}}
{{ .Release.Namespace }}.{{ .Release.Name }}
{{- end }}

{{- define "pharos.serviceAccountName" -}}
{{ .Values.serviceAccount.name | default (include "pharos.fullname" .) }}
{{- end }}

{{/* Of background scans, which may read much and write nothing but reports. */}}
{{- define "pharos.scanServiceAccountName" -}}
{{ include "pharos.fullname" . }}-scan
{{- end }}

{{- define "pharos.selectorLabels" -}}
app.kubernetes.io/name: pharos
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "pharos.labels" -}}
{{ include "pharos.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{- define "pharos.image" -}}
{{- with .Values.image -}}
{{ .repository }}{{ if .digest }}@{{ .digest }}{{ else }}:{{ .tag | default $.Chart.AppVersion }}{{ end }}
{{- end -}}
{{- end }}
