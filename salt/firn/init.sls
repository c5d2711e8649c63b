# What pillar firn:roles says that this machine is; each role is a state of its own.
{% set roles = salt['firn_fleet.roles']() %}
{% if roles %}
include:
  {% for role in roles %}
  - firn.{{ role }}
  {% endfor %}
{% else %}
# Without any state, Salt calls the whole run failed.
firn_has_no_role_here:
  test.nop: []
{% endif %}
