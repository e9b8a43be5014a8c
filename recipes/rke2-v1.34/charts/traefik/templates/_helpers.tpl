{{- define "traefik.fullname" -}}
{{- $name := ternary .Release.Name (printf "%s-%s" .Release.Name .Chart.Name) (contains .Chart.Name .Release.Name) -}}
{{- $name | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- define "traefik.selectorLabels" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end -}}

{{- define "traefik.labels" -}}
{{ include "traefik.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service | quote }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" | quote }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "traefik.serviceAccountName" -}}
{{- .Values.serviceAccount.name | default (include "traefik.fullname" .) -}}
{{- end -}}

{{/* "true" where Ingresses without a class are ours. */}}
{{- define "traefik.isDefaultClass" -}}
{{- $said := toString .Values.ingressClass.isDefaultClass -}}
{{- $class := (.Values.global | default dict).systemDefaultIngressClass -}}
{{- if $said -}}
{{- eq $said "true" -}}
{{- else -}}
{{- eq .Values.ingressClass.name (toString $class) -}}
{{- end -}}
{{- end -}}

{{/* An image with its registry: call with (dict "top" . "image" .Values.x). A repository that names a registry keeps it. */}}
{{- define "traefik.image" -}}
{{- $global := .top.Values.global | default dict -}}
{{- $registry := $global.systemDefaultRegistry | default ($global.cattle).systemDefaultRegistry | default "index.docker.io" -}}
{{- $first := .image.repository | splitList "/" | first -}}
{{- $own := and (contains "/" .image.repository) (regexMatch "[.:]|^localhost$" $first) -}}
{{- $name := ternary .image.repository (printf "%s/%s" (trimSuffix "/" $registry) .image.repository) $own -}}
{{- if .image.digest -}}
{{- printf "%s@%s" $name .image.digest -}}
{{- else -}}
{{- printf "%s:%s" $name (.image.tag | default .top.Chart.AppVersion) -}}
{{- end -}}
{{- end -}}
