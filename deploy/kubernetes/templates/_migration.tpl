{{/* Each step of the migration is told only of the server it talks to. */}}

{{- define "offers.migrateEnvironment" -}}
{{- $plain := include "offers.databaseSettings" . | fromYaml -}}
{{- include "offers.stepEnvironment" (dict "context" . "plain" $plain "certificates" "PG" "secrets" "OFFERS_DATABASE_") -}}
{{- end -}}

{{- define "offers.topicsEnvironment" -}}
{{- $kafka := .root.Values.kafka -}}
{{- $plain := include "offers.kafkaSettings" . | fromYaml -}}
{{- $_ := set $plain "OFFERS_KAFKA_PARTITIONS" (int $kafka.partitions) -}}
{{- $_ := set $plain "OFFERS_KAFKA_REPLICATION_FACTOR" (int $kafka.replicationFactor) -}}
{{- include "offers.stepEnvironment" (dict "context" . "plain" $plain "certificates" "OFFERS_KAFKA_" "secrets" "OFFERS_KAFKA_") -}}
{{- end -}}

{{- define "offers.stepEnvironment" -}}
{{- $plain := .plain -}}
{{- range $name, $value := include "offers.certificateSettings" .context | fromYaml -}}
{{- if hasPrefix $.certificates $name -}}{{- $_ := set $plain $name $value -}}{{- end -}}
{{- end -}}
{{- range $name, $value := $plain }}
- {name: {{ $name }}, value: {{ toString $value | quote }}}
{{- end -}}
{{- range include "offers.secretEnvironment" .context | fromYamlArray -}}
{{- if hasPrefix $.secrets .name }}
- {{ toJson . }}
{{- end -}}
{{- end -}}
{{- end -}}
