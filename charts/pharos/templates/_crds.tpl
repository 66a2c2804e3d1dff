{{/* Which definitions of Kyverno's groups, and of reports, are this release's to install. */}}

{{/* Whether one is. The arguments are the root and the definition's name. One that is there and
belongs to another release, or to none, is left alone; one of this release is updated. */}}
{{- define "pharos.installsKyvernoCrd" -}}
{{- $root := index . 0 -}}
{{- $crds := $root.Values.crds -}}
{{- if not $crds.enabled -}}
{{- else if eq $crds.kyvernoPolicies "Always" -}}
true
{{- else if eq $crds.kyvernoPolicies "IfAbsent" -}}
{{- $present := lookup "apiextensions.k8s.io/v1" "CustomResourceDefinition" "" (index . 1) -}}
{{- $annotations := dig "metadata" "annotations" dict $present -}}
{{- $release := list (get $annotations "meta.helm.sh/release-namespace") (get $annotations "meta.helm.sh/release-name") -}}
{{- if or (not $present) (eq (join "/" $release) (printf "%s/%s" $root.Release.Namespace $root.Release.Name)) -}}
true
{{- end -}}
{{- end -}}
{{- end }}

{{/* What cannot be read of the definitions that somebody else installed, one line for each. */}}
{{- define "pharos.kyvernoCrdProblems" -}}
{{- range include "pharos.kyvernoCrds" . | fromYamlArray -}}
{{- $present := lookup "apiextensions.k8s.io/v1" "CustomResourceDefinition" "" . -}}
{{- if $present -}}
{{- $served := list -}}
{{- range dig "spec" "versions" list $present -}}
{{- if .served -}}{{- $served = append $served .name -}}{{- end -}}
{{- end -}}
{{- $read := list "v1" "v1beta1" "v1alpha1" -}}
{{- $group := dig "spec" "group" "" $present -}}
{{- if eq $group "kyverno.io" -}}{{- $read = list "v1" -}}{{- end -}}
{{- if eq $group "wgpolicyk8s.io" -}}{{- $read = list "v1alpha2" -}}{{- end -}}
{{- if eq $group "openreports.io" -}}{{- $read = list "v1alpha1" -}}{{- end -}}
{{- $common := list -}}
{{- range $served -}}{{- if has . $read -}}{{- $common = append $common . -}}{{- end -}}{{- end -}}
{{- if not $common }}
  {{ . }} is served in {{ join ", " $served }}, and not in {{ join " or " $read }}
{{- end -}}
{{- else if not (include "pharos.installsKyvernoCrd" (list $ .)) }}
  {{ . }} is not there
{{- end -}}
{{- end -}}
{{- end }}
