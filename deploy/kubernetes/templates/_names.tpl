{{/* Names and labels. Most take a dict: root, the chart's context, and name, the service. */}}

{{- define "offers.fullname" -}}
{{- $chart := .Values.nameOverride | default .Chart.Name -}}
{{- $name := ternary .Release.Name (printf "%s-%s" .Release.Name $chart) (contains $chart .Release.Name) -}}
{{- .Values.fullnameOverride | default $name | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{- define "offers.componentName" -}}
{{ include "offers.fullname" .root }}-{{ .name }}
{{- end -}}

{{- define "offers.selector" -}}
app.kubernetes.io/name: {{ .root.Values.nameOverride | default .root.Chart.Name }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .name }}
{{- end -}}

{{- define "offers.labels" -}}
{{ include "offers.selector" . }}
app.kubernetes.io/part-of: offers
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "offers.image" -}}
{{- $image := .Values.image -}}
{{- $repository := required "image.repository is not set" $image.repository -}}
{{- $repository -}}{{ if $image.digest }}@{{ $image.digest }}{{ else }}:{{ $image.tag | default .Chart.AppVersion }}{{ end -}}
{{- end -}}

{{- define "offers.serviceAccountName" -}}
{{- with .Values.serviceAccount -}}
{{- if .create }}{{ .name | default (include "offers.fullname" $) }}{{ else }}{{ .name | default "default" }}{{ end -}}
{{- end -}}
{{- end -}}

{{/* Who uses Redis, who has an HTTP API, and whose lag on which topics says that more workers would help. */}}
{{- define "offers.services" -}}
redemption: {redis: true, api: false, topics: [redemption.requests]}
segmenter: {redis: false, api: false, topics: [topups, users]}
audit: {redis: true, api: true, topics: [audit.events]}
admin: {redis: true, api: true, topics: []}
{{- end -}}

{{/* Made before an install or upgrade, and gone again after it unless it fails. */}}
{{- define "offers.hook" -}}
helm.sh/hook: pre-install,pre-upgrade
helm.sh/hook-delete-policy: before-hook-creation,hook-succeeded
{{- end -}}
