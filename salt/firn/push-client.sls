# A host: its key, its settings, and what starts its pushes at its own minute.
{% from "firn/map.jinja" import names with context %}
{% from "firn/package.jinja" import package with context %}
{% set firn = salt['firn_fleet.push'](pillar.get('backup_minute')) %}

{{ package(firn, names.client_needs + [names.ssh]) }}

/etc/firn:
  file.directory:
    - user: root
    - group: root
    - mode: '0755'

/var/lib/firn/push:
  file.directory:
    - user: root
    - group: root
    - mode: '0700'
    - makedirs: true

/etc/firn/push_ed25519:
  firn.key:
    - require:
      - file: /etc/firn
      - pkg: firn_needs_of_{{ firn.package.name }}

/etc/firn/push.toml:
  file.managed:
    - contents: {{ firn.settings | json }}
    - user: root
    - group: root
    - mode: '0600'
    - require:
      - firn: /etc/firn/push_ed25519
      - pkg: {{ firn.package.name }}

# Commands of the settings need what the unit takes away; without any it keeps it.
/etc/systemd/system/firn-push.service.d/commands.conf:
{% if firn.commands %}
  file.symlink:
    - target: /usr/lib/firn/firn-push-commands.conf
    - makedirs: true
{% else %}
  file.absent:
{% endif %}
    - require:
      - pkg: {{ firn.package.name }}

firn_push_unit_is_read:
  module.run:
    - service.systemctl_reload: []
    - onchanges:
      - file: /etc/systemd/system/firn-push.service.d/commands.conf

# A change of keys that was cut off. It asks the server, so it comes after the settings.
firn_key_change:
  firn.settled:
    - require:
      - file: /etc/firn/push.toml

{% if firn.schedule == 'cron' %}
firn_push_is_not_on_a_timer:
  service.dead:
    - name: firn-push.timer
    - enable: false
    - require:
      - pkg: {{ firn.package.name }}

/etc/systemd/system/firn-push.timer.d/schedule.conf:
  file.absent:
    - require:
      - service: firn_push_is_not_on_a_timer

firn_cron:
  pkg.installed:
    - name: {{ names.cron }}

firn_cron_runs:
  service.running:
    - name: {{ names.cron_service }}
    - enable: true
    - require:
      - pkg: firn_cron

# It only starts the unit: all that confines a push is in there.
firn-push:
  cron.present:
    - name: systemctl start --no-block firn-push.service
    - identifier: firn-push
    - user: root
    - minute: {{ firn.minute | string | json }}
    - hour: {{ firn.hours | json }}
    - require:
      - pkg: firn_cron
      - file: /etc/firn/push.toml
      - file: /var/lib/firn/push
{% else %}
# Without crontab there is no entry to take away.
firn-push:
  cron.absent:
    - name: systemctl start --no-block firn-push.service
    - identifier: firn-push
    - user: root
    - onlyif: command -v crontab

/etc/systemd/system/firn-push.timer.d/schedule.conf:
  file.managed:
    - contents: {{ firn.timer | json }}
    - user: root
    - group: root
    - mode: '0644'
    - makedirs: true
    - require:
      - pkg: {{ firn.package.name }}

firn_push_timer_is_read:
  module.run:
    - service.systemctl_reload: []
    - onchanges:
      - file: /etc/systemd/system/firn-push.timer.d/schedule.conf

firn-push.timer:
  service.running:
    - enable: true
    - require:
      - file: /etc/firn/push.toml
      - file: /var/lib/firn/push
      - module: firn_push_timer_is_read
    - watch:
      - file: /etc/systemd/system/firn-push.timer.d/schedule.conf
{% endif %}
