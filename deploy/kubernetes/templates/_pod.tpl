{{/* Parts of every pod: none may be root, write to its image's files, or talk to the cluster. */}}

{{- define "offers.podSecurity" -}}
automountServiceAccountToken: false
enableServiceLinks: false
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  runAsGroup: 10001
  fsGroup: 10001
  seccompProfile: {type: RuntimeDefault}
{{- with .Values.imagePullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- end -}}

{{- define "offers.placement" -}}
{{- with .root.Values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .root.Values.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .root.Values.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* Workers of a service keep to different zones and nodes, where there are any. */}}
{{- define "offers.spread" -}}
{{- if .root.Values.affinity -}}
affinity: {{- toYaml .root.Values.affinity | nindent 2 }}
{{- else -}}
topologySpreadConstraints:
  {{- range $key := list "topology.kubernetes.io/zone" "kubernetes.io/hostname" }}
  - topologyKey: {{ $key }}
    maxSkew: 1
    whenUnsatisfiable: ScheduleAnyway
    matchLabelKeys: [pod-template-hash]
    labelSelector:
      matchLabels: {{- include "offers.selector" $ | nindent 8 }}
  {{- end }}
{{- end -}}
{{- end -}}

{{- define "offers.container" -}}
image: {{ include "offers.image" . }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  runAsNonRoot: true
  capabilities: {drop: [ALL]}
{{- end -}}

{{- define "offers.secretEnvironment" -}}
{{- $secret := include "offers.secretName" . -}}
{{- range include "offers.secretNames" . | fromYamlArray }}
- name: {{ . }}
  valueFrom:
    secretKeyRef: {name: {{ $secret }}, key: {{ . }}}
{{- end -}}
{{- end -}}

{{- define "offers.volumeMounts" -}}
- {name: tmp, mountPath: /tmp}
{{- range $server, $_ := include "offers.certificates" . | fromYaml }}
- {name: {{ $server }}-certificates, mountPath: /etc/offers/{{ $server }}, readOnly: true}
{{- end -}}
{{- end -}}

{{/* Certificates are mounted whole, so that one that is replaced is seen; only our group reads keys. */}}
{{- define "offers.volumes" -}}
- name: tmp
  emptyDir: {sizeLimit: 128Mi}
{{- range $server, $made := include "offers.certificates" . | fromYaml }}
- name: {{ $server }}-certificates
  projected:
    defaultMode: 0440
    sources:
      {{- with $made.ca }}
      - secret:
          name: {{ . }}
          items: [{key: ca.crt, path: ca.crt}]
      {{- end }}
      {{- with $made.certificate }}
      - secret:
          name: {{ . }}
          items: [{key: tls.crt, path: tls.crt}, {key: tls.key, path: tls.key}]
      {{- end }}
{{- end -}}
{{- end -}}
