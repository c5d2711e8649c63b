# A machine that restores for proof. It holds the secret key, which is brought there by hand: nothing of it goes through Salt.
{% from "firn/map.jinja" import names with context %}
{% from "firn/package.jinja" import package with context %}
{% set firn = salt['firn_fleet.with_files']('drill-host') %}

{{ package(firn, names.drill_needs) }}

# A machine that pushes as well has a state of this path's name already.
firn_drill_settings_folder:
  file.directory:
    - name: /etc/firn
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
      - file: firn_drill_settings_folder
{% endfor %}

/etc/firn/drill.toml:
  file.managed:
    - contents: {{ firn.settings | json }}
    - user: root
    - group: root
    - mode: '0600'
    - require:
      - file: firn_drill_settings_folder
      - pkg: {{ firn.package.name }}
