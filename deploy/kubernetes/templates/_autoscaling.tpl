{{/* The Secret of the login that asks for lags, with the same names: of its own, else the service's. */}}
{{- define "offers.scalerSecret" -}}
{{- $own := .root.Values.autoscaling -}}
{{- if $own.existingSecret }}{{ $own.existingSecret }}
{{- else if $own.kafkaUsername }}{{ include "offers.componentName" (dict "root" .root "name" "autoscaler") }}
{{- else }}{{ include "offers.secretName" . }}
{{- end -}}
{{- end -}}

{{/* Where KEDA finds what it logs in to Kafka with; empty if it takes no login. */}}
{{- define "offers.scalerLogin" -}}
{{- $tls := .root.Values.kafka.tls -}}
{{- if include "offers.sasl" .root }}
- {parameter: username, name: {{ include "offers.scalerSecret" . }}, key: OFFERS_KAFKA_SASL_USERNAME}
- {parameter: password, name: {{ include "offers.scalerSecret" . }}, key: OFFERS_KAFKA_SASL_PASSWORD}
{{- end }}
{{- if include "offers.kafkaTls" .root }}
{{- with $tls.caSecret }}
- {parameter: ca, name: {{ . }}, key: ca.crt}
{{- end }}
{{- with $tls.certificateSecret }}
- {parameter: cert, name: {{ . }}, key: tls.crt}
- {parameter: key, name: {{ . }}, key: tls.key}
{{- end }}
{{- end }}
{{- end -}}
