{{/* Where KEDA finds what a service logs in to Kafka with; empty if it takes no login. */}}
{{- define "offers.scalerLogin" -}}
{{- $tls := .root.Values.kafka.tls -}}
{{- if include "offers.sasl" .root }}
- {parameter: username, name: {{ include "offers.secretName" . }}, key: OFFERS_KAFKA_SASL_USERNAME}
- {parameter: password, name: {{ include "offers.secretName" . }}, key: OFFERS_KAFKA_SASL_PASSWORD}
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
