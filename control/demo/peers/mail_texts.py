"""Who writes in the demo's mailbox, and what: names, subjects and sentences in many languages."""

PEOPLE = (
    ("Amara Okafor", "amara.okafor@harbourlight.example"),
    ("Jürgen Weiß", "j.weiss@müller-söhne.example".encode("idna").decode()),
    ("Søren Kjærgård", "soeren@fjordbyg.example"),
    ("Zoë Lefèvre", "zoe.lefevre@atelier-nord.example"),
    ("Νίκος Παπαδόπουλος", "nikos@aegean-freight.example"),
    ("Ольга Петрова", "olga.petrova@northline.example"),
    ("山田 太郎", "t.yamada@sakura-parts.example"),
    ("李小龙", "xiaolong.li@riverstone.example"),
    ("김민준", "minjun@hanbit.example"),
    ("محمد الحسن", "m.alhassan@desertrose.example"),
    ("דוד כהן", "david@galil-optics.example"),
    ("สมชาย ใจดี", "somchai@chaophraya.example"),
    ("अनीता शर्मा", "anita.sharma@monsoon.example"),
    ("O'Brien, Siobhán (Accounts)", "accounts+siobhan@obrien-sons.example"),
    ("no-reply", "no-reply@ledgerline.example"),
)

# (language, subject, sentences)
TOPICS = (
    ("en", "Delivery dates for the spring order", (
        "We can ship the first forty pallets in the second week of March.",
        "Customs asked for the certificate of origin again, so please send the signed copy.",
        "If the weather holds, the ferry leaves on Thursday evening.",
    )),
    ("de", "Rückfrage zur Schlussrechnung", (
        "Die Position 4 stimmt nicht mit dem Aufmaß überein.",
        "Könnten Sie die Umsatzsteuer bitte getrennt ausweisen?",
        "Für Größen über 3 m² gilt der alte Preis weiter.",
    )),
    ("fr", "Réunion décalée à jeudi", (
        "La salle n'est plus libre mardi, nous passons donc à jeudi à dix heures.",
        "Les chiffres définitifs arriveront la veille au soir.",
        "Merci de prévenir l'équipe de Besançon.",
    )),
    ("es", "¿Quién se encarga del inventario?", (
        "Faltan las cajas del pasillo siete y la báscula no cuadra.",
        "Mañana llega otro camión desde Logroño.",
    )),
    ("pt", "Revisão do orçamento de manutenção", (
        "A estimativa não inclui a substituição das bombas.",
        "Precisamos da aprovação até sexta-feira.",
    )),
    ("pl", "Zażółcona próbka do sprawdzenia", (
        "Próbka zżółkła po trzech dniach na słońcu.",
        "Proszę o wynik badania do środy.",
    )),
    ("el", "Νέο δρομολόγιο για τον Πειραιά", (
        "Το πλοίο θα φτάσει δύο ώρες αργότερα.",
        "Ο γερανός επισκευάζεται μέχρι την Παρασκευή.",
    )),
    ("ru", "Договор на подпись", (
        "Во вложении последняя редакция, изменён только третий пункт.",
        "Подпишите, пожалуйста, до конца недели.",
    )),
    ("ja", "部品の納期について", (
        "ご注文の部品は来週の火曜日に出荷いたします。",
        "図面の改訂版を確認してください。",
    )),
    ("zh", "关于第三季度的对账", (
        "我们发现两笔付款没有发票号码。",
        "请在本月底之前回复。",
    )),
    ("ko", "회의록 공유드립니다", (
        "다음 회의는 수요일 오후 두 시입니다.",
        "수정할 내용이 있으면 알려 주세요.",
    )),
    ("ar", "عرض السعر الجديد", (
        "السعر يشمل الشحن حتى الميناء.",
        "العرض صالح لمدة عشرة أيام.",
    )),
    ("he", "אישור הזמנה", ("ההזמנה התקבלה ותצא ביום ראשון.", "נא לבדוק את הכתובת.")),
    ("th", "แจ้งเลื่อนการส่งของ", ("รถขนส่งจะมาถึงช้ากว่ากำหนดหนึ่งวัน", "ขออภัยในความไม่สะดวก")),
    ("hi", "भुगतान की पुष्टि", ("आपका भुगतान आज सुबह मिल गया है।", "रसीद साथ में लगी है।")),
    ("en", "🚚 Van 12 is out of the workshop ✅", (
        "New brake discs on both axles, the invoice follows.",
        "It pulls a little to the left above 90 km/h, please keep an eye on it.",
    )),
)  # fmt: skip

LISTS = (
    ("Harbour Operations", "ops.harbour.example"),
    ("Tide Tables", "tides.harbour.example"),
    ("vessel-tracking developers", "dev.vesseltrack.example"),
)
