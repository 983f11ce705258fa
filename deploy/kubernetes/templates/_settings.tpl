{{/* What a container reads from its environment. All take a dict: root, name (a service, or migrations), redis. */}}

{{- define "offers.sasl" -}}
{{- if hasPrefix "SASL_" .Values.kafka.securityProtocol }}true{{ end -}}
{{- end -}}

{{- define "offers.kafkaTls" -}}
{{- if hasSuffix "SSL" .Values.kafka.securityProtocol }}true{{ end -}}
{{- end -}}

{{/* The servers a container has certificates for, and the variables that name their files. */}}
{{- define "offers.certificates" -}}
{{- $values := .root.Values -}}
{{- $servers := dict "database" "PGSSLROOTCERT PGSSLCERT PGSSLKEY" -}}
{{- if include "offers.kafkaTls" .root -}}
{{- $_ := set $servers "kafka" "OFFERS_KAFKA_SSL_CAFILE OFFERS_KAFKA_SSL_CERTFILE OFFERS_KAFKA_SSL_KEYFILE" -}}
{{- end -}}
{{- if .redis -}}
{{- $_ := set $servers "redis" "OFFERS_REDIS_SSL_CAFILE OFFERS_REDIS_SSL_CERTFILE OFFERS_REDIS_SSL_KEYFILE" -}}
{{- end -}}
{{- range $server, $names := $servers -}}
{{- $tls := index $values $server "tls" -}}
{{- if or $tls.caSecret $tls.certificateSecret }}
{{ $server }}:
  ca: {{ $tls.caSecret | quote }}
  certificate: {{ $tls.certificateSecret | quote }}
  names: {{ splitList " " $names | toJson }}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "offers.certificateSettings" -}}
{{- range $server, $made := include "offers.certificates" . | fromYaml -}}
{{- $files := list (ternary "ca.crt" "" (ne $made.ca "")) -}}
{{- $files = concat $files (ternary (list "tls.crt" "tls.key") (list "" "") (ne $made.certificate "")) -}}
{{- range $at, $file := $files -}}
{{- if $file }}
{{ index $made.names $at }}: /etc/offers/{{ $server }}/{{ $file }}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "offers.kafkaSettings" -}}
{{- $kafka := .root.Values.kafka -}}
OFFERS_KAFKA_BOOTSTRAP_SERVERS: {{ required "kafka.bootstrapServers is not set" $kafka.bootstrapServers | quote }}
OFFERS_KAFKA_SECURITY_PROTOCOL: {{ $kafka.securityProtocol }}
OFFERS_KAFKA_TOPIC_PREFIX: {{ $kafka.topicPrefix | quote }}
{{- if include "offers.sasl" .root }}
OFFERS_KAFKA_SASL_MECHANISM: {{ $kafka.sasl.mechanism }}
{{- end }}
{{- end -}}

{{- define "offers.databaseSettings" -}}
{{- $tls := .root.Values.database.tls -}}
{{- with $tls.mode | default (ternary "verify-full" "" (ne $tls.caSecret "")) -}}
PGSSLMODE: {{ . }}
{{- end -}}
{{- end -}}

{{/* All of a service's that is not secret. What the operator names wins. */}}
{{- define "offers.settings" -}}
{{- $values := .root.Values -}}
{{- $own := index $values .name -}}
{{- $settings := dict "OFFERS_HTTP_HOST" "0.0.0.0" "OFFERS_HTTP_PORT" "8080" -}}
{{- range list "offers.kafkaSettings" "offers.databaseSettings" "offers.certificateSettings" -}}
{{- $settings = merge $settings (include . $ | fromYaml) -}}
{{- end -}}
{{- with $values.otlpEndpoint -}}{{- $_ := set $settings "OFFERS_OTLP_ENDPOINT" . -}}{{- end -}}
{{- if eq .name "admin" -}}
{{- with include "offers.publicUrl" .root -}}{{- $_ := set $settings "OFFERS_ADMIN_PUBLIC_URL" . -}}{{- end -}}
{{- end -}}
{{- range $name, $value := merge (dict) $own.settings $values.settings $settings }}
{{ $name }}: {{ toString $value | quote }}
{{- end -}}
{{- end -}}

{{- define "offers.publicUrl" -}}
{{- $ingress := .Values.ingress -}}
{{- if .Values.admin.publicUrl -}}
{{ .Values.admin.publicUrl }}
{{- else if $ingress.enabled -}}
{{ ternary "https" "http" $ingress.tls.enabled }}://{{ required "ingress.host is not set" $ingress.host }}
{{- end -}}
{{- end -}}

{{/* The names of what is secret. */}}
{{- define "offers.secretNames" -}}
- OFFERS_DATABASE_URL
{{- if .redis }}
- OFFERS_REDIS_URL
{{- end }}
{{- if include "offers.sasl" .root }}
- OFFERS_KAFKA_SASL_USERNAME
- OFFERS_KAFKA_SASL_PASSWORD
{{- end }}
{{- end -}}

{{/* The Secret that holds them: the operator's, else one of ours. */}}
{{- define "offers.existingSecret" -}}
{{- (index .root.Values .name "existingSecret") | default .root.Values.existingSecret -}}
{{- end -}}

{{- define "offers.secretName" -}}
{{- include "offers.existingSecret" . | default (include "offers.componentName" .) -}}
{{- end -}}

{{- define "offers.secrets" -}}
{{- $values := .root.Values -}}
{{- $own := index $values .name -}}
OFFERS_DATABASE_URL: {{ required "database.url is not set, nor an existingSecret" ($own.databaseUrl | default $values.database.url) | quote }}
{{- if .redis }}
OFFERS_REDIS_URL: {{ required "redis.url is not set, nor an existingSecret" $values.redis.url | quote }}
{{- end }}
{{- if include "offers.sasl" .root }}
{{- $sasl := $values.kafka.sasl }}
OFFERS_KAFKA_SASL_USERNAME: {{ required "kafka.sasl.username is not set, nor an existingSecret" ($own.kafkaUsername | default $sasl.username) | quote }}
OFFERS_KAFKA_SASL_PASSWORD: {{ required "kafka.sasl.password is not set, nor an existingSecret" ($own.kafkaPassword | default $sasl.password) | quote }}
{{- end }}
{{- end -}}
