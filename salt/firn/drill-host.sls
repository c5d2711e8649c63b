# A machine that restores for proof. It holds the secret key, which is brought there by hand: nothing of it goes through Salt.
{% from "firn/map.jinja" import names with context %}
{% from "firn/package.jinja" import package with context %}
{% set firn = salt['firn_fleet.with_files']('drill-host') %}

{{ package(firn, names.drill_needs) }}

/etc/firn:
  file.directory:
    - user: root
    - group: root
    - mode: '0755'

{% for folder in ['', '/quarantine', '/records'] %}
/var/lib/firn/drill{{ folder }}:
  file.directory:
    - user: root
    - group: root
    - mode: '0700'
    - makedirs: true
{% endfor %}

{% for name, source in firn.files | dictsort %}
{{ ('/etc/firn/' ~ name) | json }}:
  file.managed:
    - source: {{ source | json }}
    - user: root
    - group: root
    - mode: '0644'
    - require:
      - file: /etc/firn
{% endfor %}

/etc/firn/drill.toml:
  file.managed:
    - contents: {{ firn.settings | json }}
    - user: root
    - group: root
    - mode: '0600'
    - require:
      - file: /etc/firn
      - pkg: {{ firn.package.name }}
