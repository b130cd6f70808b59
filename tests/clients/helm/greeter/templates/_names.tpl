{{- define "greeter.name" -}}
{{ .Values.name | default (print .Release.Name "-" .Chart.Name) }}
{{- end }}
{{- define "greeter.labels" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}
{{- define "greeter.hook" -}}
backoffLimit: 0
template:
  spec:
    restartPolicy: Never
    terminationGracePeriodSeconds: 0
    containers:
    - name: hook
      image: {{ .Values.image }}
      imagePullPolicy: IfNotPresent
      command: [sh, -c, {{ ternary "exit 3" "exit 0" .Values.hook.fails | quote }}]
{{- end }}
