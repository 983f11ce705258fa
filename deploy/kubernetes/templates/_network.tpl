{{/* Where a pod may connect to. All take a dict as in _settings.tpl. */}}

{{/* The ports in addresses such as postgresql://user:password@a:5432,b:5433/offers; `default` if there is none. */}}
{{- define "offers.ports" -}}
{{- $ports := list -}}
{{- range .addresses -}}
{{- $hosts := regexReplaceAll "[/?].*$" (regexReplaceAll "^.*@" (regexReplaceAll "^[a-z+]+://" . "") "") "" -}}
{{- range regexFindAll ":[0-9]+(,|$)" $hosts -1 -}}
{{- $ports = append $ports (. | trimPrefix ":" | trimSuffix "," | int) -}}
{{- end -}}
{{- end -}}
{{- $ports | default (list .default) | uniq | toJson -}}
{{- end -}}

{{- define "offers.egress" -}}
{{- $policy := index .root.Values.networkPolicy .server -}}
- ports:
    {{- range $policy.ports | default (include "offers.ports" . | fromJsonArray) }}
    - {protocol: TCP, port: {{ int . }}}
    {{- end }}
  {{- with $policy.peers }}
  to: {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end -}}

{{- define "offers.egressRules" -}}
{{- $values := .root.Values -}}
{{- $own := index $values .name -}}
{{- $dns := $values.networkPolicy.dns -}}
- ports:
    {{- range $port := $dns.ports }}
    - {protocol: UDP, port: {{ int $port }}}
    - {protocol: TCP, port: {{ int $port }}}
    {{- end }}
  {{- with $dns.peers }}
  to: {{- toYaml . | nindent 4 }}
  {{- end }}
{{ include "offers.egress" (dict "root" .root "server" "database" "default" 5432 "addresses" (list ($own.databaseUrl | default $values.database.url))) }}
{{ include "offers.egress" (dict "root" .root "server" "kafka" "default" 9092 "addresses" (list $values.kafka.bootstrapServers)) }}
{{- if .redis }}
{{ include "offers.egress" (dict "root" .root "server" "redis" "default" 6379 "addresses" (list $values.redis.url)) }}
{{- end }}
{{- if and .traced $values.otlpEndpoint }}
{{ include "offers.egress" (dict "root" .root "server" "otlp" "default" 4318 "addresses" (list $values.otlpEndpoint)) }}
{{- end }}
{{- end -}}
